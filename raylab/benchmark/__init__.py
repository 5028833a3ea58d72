"""How fast attacks, inversions and trainings are on the machine at hand, beside other code (`jobs/benchmark.py`).

Needs the core alone (torch, torchvision, numpy): it is run where a GPU is, which may have nothing else.
"""
