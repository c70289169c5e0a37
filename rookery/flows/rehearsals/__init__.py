"""Plans rehearsed in the twin, what rehearsals tell, and policies side by side in the same worlds."""
