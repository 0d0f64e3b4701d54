// Probe is a program for the tests of package program: it says what it was
// given, uses memory, or goes on for ever.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	switch os.Args[1] {
	case "say":
		input, err := io.ReadAll(os.Stdin)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%q\n%s", os.Args[2:], input)
		fmt.Fprintln(os.Stderr, "on stderr")
		os.Exit(3)
	case "allocate":
		size, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		memory := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			memory[i] = 1
		}
		fmt.Println(len(memory))
	case "endless":
		if err := os.WriteFile("begun", nil, 0o644); err != nil {
			panic(err)
		}
		for range time.Tick(time.Hour) {
		}
	}
}
