"""What a run will take, before it runs: device-hours, disk, memory, money, and the smallest difference that it can show."""
