"""How synthetic pairs differ from real ones in what can be measured of them, and what ranking by SSIM prefers."""
