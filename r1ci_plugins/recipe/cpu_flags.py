from r1ci_plugins.trainers.openrlhf.cpu_backend import UNSUPPORTED, cuda_available, notice, trainer_flags  # noqa
from r1ci_plugins.trainers.openrlhf.cpu_backend import environment as variables  # noqa
