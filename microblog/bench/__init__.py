"""The benchmark harness: pairs of loads measured side by side, subject against baseline.

A figure of one run says little on a shared machine; the ratio of two loads that took turns says
much. So each scenario under ``bench/scenarios`` names a subject and a baseline, both run in turns
(A B A B …), and the report gives medians, the median ratio and its spread.
"""

from microblog.bench.run import bench

__all__ = ["bench"]
