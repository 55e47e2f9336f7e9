"""InfoGAN: objective, networks, latents and update steps."""
