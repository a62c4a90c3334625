"""Several processes that train one model: who starts them, how they meet, what they share."""
