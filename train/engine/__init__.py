"""Training machinery that does not depend on InfoGAN."""
