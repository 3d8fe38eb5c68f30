// Resizes and crops the pictures of all cameras into the network's images, one thread a pixel.
//
// The arithmetic is that of imaging/resize.py to the bit, if no multiply and add are fused (--fmad=false): weighted
// means over the rows first, then over the columns, in float32 and in the order of the taps. Taps of averages over
// areas and of straight lines alike come from the host, so the kernel knows no resize rule of its own.

struct Picture {
    const unsigned char* pixels;  // RGB [., ., 3], rows `row_bytes` apart; null: no image, the network sees black
    const int* row_start;         // [height]               first source row of each network row
    const float* row_weight;      // [height, n_row_taps]   weights of the source rows from there
    const int* column_start;      // [width]
    const float* column_weight;   // [width, n_column_taps]
    int row_bytes;
    int n_row_taps;
    int n_column_taps;
};

extern "C" __global__ void prepare_images(
    const Picture* pictures,  // [n], one for each block in z
    unsigned char* images,    // RGB [n, height, width, 3]
    int height,
    int width)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const Picture picture = pictures[blockIdx.z];
    unsigned char* out = images + 3 * (((long long)blockIdx.z * height + y) * width + x);
    if (picture.pixels == nullptr) {
        out[0] = out[1] = out[2] = 0;
        return;
    }
    const float* row_weight = picture.row_weight + y * picture.n_row_taps;
    const float* column_weight = picture.column_weight + x * picture.n_column_taps;
    const unsigned char* corner =
        picture.pixels + (long long)picture.row_start[y] * picture.row_bytes + 3 * picture.column_start[x];
    float red = 0.5f, green = 0.5f, blue = 0.5f;  // truncation then rounds
    for (int column = 0; column < picture.n_column_taps; ++column) {
        float mean_red = 0.0f, mean_green = 0.0f, mean_blue = 0.0f;
        const unsigned char* source = corner + 3 * column;
        for (int row = 0; row < picture.n_row_taps; ++row) {
            const float weight = row_weight[row];
            mean_red += weight * source[0];
            mean_green += weight * source[1];
            mean_blue += weight * source[2];
            source += picture.row_bytes;
        }
        red += column_weight[column] * mean_red;
        green += column_weight[column] * mean_green;
        blue += column_weight[column] * mean_blue;
    }
    out[0] = (unsigned char)red;
    out[1] = (unsigned char)green;
    out[2] = (unsigned char)blue;
}
