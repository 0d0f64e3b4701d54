package main

import (
	"os"

	"example.com/app/ssh"
)

func main() { os.Stdout.WriteString(ssh.Says()) }
