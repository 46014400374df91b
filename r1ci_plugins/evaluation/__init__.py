"""Questions put to a model, statistics over outcomes, and the record of an evaluation."""
