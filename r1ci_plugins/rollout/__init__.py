"""The engine-agnostic multi-turn loop, the trajectory record and the loss mask."""
