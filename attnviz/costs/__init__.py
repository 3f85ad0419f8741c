"""The costs of attention, counted from sizes and measured on this machine."""
