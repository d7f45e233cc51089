"""Captions of figures by their names, `samples_gan_vanilla_nearest` say, for the report."""

SPECIAL = str.maketrans({char: "\\" + char for char in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}"})
# The captions of section 5's figures, whose names are a kind and a model, say `samples_gan_vanilla_nearest`.
CAPTIONS = {
    "curves": "The curves of {model} over the training.",
    "samples": "Each image is a sample of {model}.",
    "traversal": "Each row moves one latent dimension of {model} from $-3$ to 3, while the others stay. The"
    " dimensions that change the image most come first.",
    "interpolation": "Between three pairs of samples of {model}, the upper row of each pair mixes the codes $z_0$ and"
    " $z_1$, the lower one the pixels $x_0$ and $x_1$.",
    "upsampling": "Each row decodes the same codes with another upsampling, by {model}.",
    "spectrum": "The mean power of every spatial frequency is shown for samples of {model}, one panel per upsampling,"
    " and for real images. The zero frequency is in the middle, and the period of two pixels at the edges.",
}
WORDS = {
    "gan": "the GAN",
    "gan_vanilla": "the plain GAN",
    "gan_wgan": "WGAN",
    "gan_wgan_gp": "WGAN-GP",
    "gan_lsgan": "the least-squares GAN",
    "gan_hinge": "the GAN with the hinge loss",
    "vae": "the VAE",
    "vae_vanilla": "the plain VAE",
    "vae_flow": "the VAE with a flow",
    "vae_iwae": "the importance weighted VAE",
    "nearest": "nearest-neighbour upsampling",
    "deconv": "transposed convolutions",
    "bilinear": "bilinear upsampling",
    "gaussian": "Gaussian pixels of one $\\sigma$",
    "gaussian_per_pixel": "Gaussian pixels, a $\\sigma$ per pixel",
    "gaussian_per_image": "Gaussian pixels, a $\\sigma$ per image",
    "gaussian_predicted": "Gaussian pixels of predicted $\\sigma$",
    "logistic": "logistic pixels of one scale",
    "logistic_predicted": "logistic pixels of predicted scales",
    "logistic_mixture": "pixels from a mixture of logistics",
}


def caption(name: str) -> str:
    """Describe a figure by its name in a sentence, if it has a kind; else by the words of the name."""
    kind, _, rest = name.partition("_")
    if kind not in CAPTIONS:
        return f"{name.replace('_', ' ').translate(SPECIAL).capitalize()}."
    described = []
    while rest:  # the longest known word first
        word = next((word for word in sorted(WORDS, key=len, reverse=True) if f"{rest}_".startswith(f"{word}_")), rest)
        described.append(WORDS.get(word, word.replace("_", " ").translate(SPECIAL)))
        rest = rest[len(word) + 1 :]
    model, *details = described or ["the model"]
    return CAPTIONS[kind].format(model=model + (f" ({'; '.join(details)})" if details else ""))
