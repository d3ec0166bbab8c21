"""The benchmark harness: loads measured side by side, each with its floor and its rivals.

A figure of one run says little on a shared machine; the ratio of two loads that took turns says
much. So each scenario under ``bench/scenarios`` has sides that run in turns (B A C, C A B, …), and
the report gives medians, the median ratio and its spread. Answers are checked while it runs.
"""
