"""What is trained of a trajectory: loss masks, supervised examples, and the audit of both."""
