"""What a run will take, before it runs: GPU-hours, hours, disk, money, and the smallest effect that it can show."""
