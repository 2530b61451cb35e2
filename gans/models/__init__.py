"""Networks, and the subclasses of GAN with further loss terms or inputs."""
