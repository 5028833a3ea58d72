"""How fast is this machine, beside the least loop and other packages?  Needs torch, torchvision and numpy alone.

python jobs/benchmark.py                       # on a GPU where there is one; under 8 minutes
python jobs/benchmark.py device=cpu seconds=60 out=/tmp/speed
"""

import sys

from raylab.stop import importing

with importing():
    from raylab.benchmark.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
