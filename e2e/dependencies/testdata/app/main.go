package main

import "example.com/app/ssh"

func main() { println(ssh.Says()) }
