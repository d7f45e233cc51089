"""Image generation: autoencoders, variational autoencoders and GANs."""
