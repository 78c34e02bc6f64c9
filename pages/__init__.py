"""What all pages share: how templates are read, how a page looks, the frame of one that stands alone."""
