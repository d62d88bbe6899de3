"""What a photograph says besides its pixels, and what of it a result may say, too."""
