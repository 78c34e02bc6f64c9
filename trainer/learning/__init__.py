"""From weighted pairs to a fine-tuned model: plan, batches, loss, towers, checkpoints."""
