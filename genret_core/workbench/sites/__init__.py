"""Sites: the machines of a study, from this one to a cluster, and its jobs on them, through Parsl.

- `file`: a site file (`params/sites`), checked.
- `parsl_config`: a site as Parsl takes it.
- `engine`: jobs and notebooks on the nodes of a site, seen from the command that started them.
- `node`: what runs on a node: the same as on one machine.
- `interchange`: Parsl's go-between, which ends with the command.

Only `engine` and `parsl_config` need the extra `sweep`, and only when they are used.
"""

from genret_core.workbench.sites.engine import ParslEngine, SiteFailed
from genret_core.workbench.sites.file import Site, load_site

__all__ = ["ParslEngine", "Site", "SiteFailed", "load_site"]
