"""ftcore: fine-tunes BERT-family classifiers on a fused C train step."""
