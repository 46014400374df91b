"""SFT trajectories from a teacher, or from the task packs' own programs. The loop, sandbox and checkers are RL's."""
