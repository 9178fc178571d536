"""How the catalogue's tables came to be, one step a module in `versions`."""
