"""What runs pods: each driver ships what `bundle` made and reads what the host answers."""
