"""What every benchmark uses: its data, its progress and its report."""
