"""What the exponents of a link are made of: the link, expectations over it, its level sets, and the decision."""
