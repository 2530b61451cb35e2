"""Networks, and the GANs that play for more than real against fake."""
