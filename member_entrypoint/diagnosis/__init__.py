"""What is wrong: looked for before a start (`check`), and after a VM has ended (`explain`)."""
