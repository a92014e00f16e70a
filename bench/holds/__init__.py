"""What the library holds: measures it, and writes the file that the site's page of that name is rendered from. Torch.

May import everything, as all of bench: the engine, the scenes and judges of the training, the search.
"""
