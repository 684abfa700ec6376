"""The pages in a browser and the server behind them."""
