/* The width of a frame around a picture of libpng's version. */
unsigned frame_width(void);
