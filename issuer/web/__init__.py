"""The web application: assembling the routes, and what holds for all of them."""
