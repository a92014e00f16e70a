"""Models as people have them, and what adding one costs at the size of Stable Diffusion 1.5. May import everything."""
