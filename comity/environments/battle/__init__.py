"""Small battles by the rules of SMAC (Samvelyan et al. 2019, arXiv 1902.04043), without StarCraft: eleven maps."""
