"""What `inv` offers in a checkout: the product's own tasks, as `interlink` has them, and the developers'.

lab.*   the real parts that tests run against (tests/lab)
test    the tests; `--fast` without the lab
lint    style, types, import contracts
golden  what pods do here against what a real kubelet did with them (tests/golden)
bench   speed, as ratios to what the machine itself can do (tests/bench)
"""

from interlink.tasks import namespace
from tests.bench.tasks import bench
from tests.golden.tasks import run_golden
from tests.lab.tasks import collection as lab
from tests.tasks import lint, run_tests

ns = namespace()
ns.add_collection(lab)
ns.add_task(lint)
ns.add_task(run_tests)
ns.add_task(bench)
ns.add_task(run_golden)
