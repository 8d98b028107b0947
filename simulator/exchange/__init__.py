"""The matching engine, free of any dialect. Prices are integers of 1/10,000 rupee (`simulator.money`)."""
