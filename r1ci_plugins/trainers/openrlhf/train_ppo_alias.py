"""``python -m openrlhf.cli.train_ppo``: shipped by r1ci-plugins, which owns this one file of the folder."""

from r1ci_plugins.trainers.openrlhf.launcher import train_ppo

if __name__ == "__main__":
    train_ppo()
