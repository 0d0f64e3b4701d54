/* A C program that uses the Rust library; README.md says how to link it. */
#include <ocipkg_example_rust.h>
#include <stdio.h>

int main(void)
{
	char text[64];

	if (ocipkg_example_rust_greet("C", text, sizeof text) < 0)
		return 1;
	puts(text);
	return 0;
}
