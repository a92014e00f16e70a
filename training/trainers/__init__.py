"""The trainings: autoencoder, text encoder, U-Net, and what feeds them. Torch; may import training.scenes, worker."""
