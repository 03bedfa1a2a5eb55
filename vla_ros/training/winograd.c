/* Transforms of Winograd's F(4x4, 3x3) on images in which channels are last, eight at a time. */
typedef float v8 __attribute__((vector_size(32), aligned(4)));

/* One axis of B'd: six inputs, `s` apart, to six. */
static inline void input6(const v8 *x, int s, v8 *y, int r)
{
    v8 a = x[4 * s] - 4 * x[2 * s], b = x[3 * s] - 4 * x[s];
    v8 c = x[4 * s] - x[2 * s], d = 2 * (x[3 * s] - x[s]);
    y[0] = 4 * x[0] - 5 * x[2 * s] + x[4 * s];
    y[r] = a + b;
    y[2 * r] = a - b;
    y[3 * r] = c + d;
    y[4 * r] = c - d;
    y[5 * r] = 4 * x[s] - 5 * x[3 * s] + x[5 * s];
}

/* One axis of A'm: six products to four outputs. */
static inline void output4(const v8 *m, int s, v8 *y, int r)
{
    v8 a = m[s] + m[2 * s], b = m[s] - m[2 * s];
    v8 c = m[3 * s] + m[4 * s], d = m[3 * s] - m[4 * s];
    y[0] = m[0] + a + c;
    y[r] = b + 2 * d;
    y[2 * r] = a + 4 * c;
    y[3 * r] = b + 8 * d + m[5 * s];
}

/* One axis of A g: four gradients of outputs to those of six products. */
static inline void back6(const v8 *g, int s, v8 *y, int r)
{
    v8 a = g[0] + g[2 * s], b = g[s] + g[3 * s];
    v8 c = g[0] + 4 * g[2 * s], d = 2 * (g[s] + 4 * g[3 * s]);
    y[0] = g[0];
    y[r] = a + b;
    y[2 * r] = a - b;
    y[3 * r] = c + d;
    y[4 * r] = c - d;
    y[5 * r] = g[3 * s];
}

/* x (n, h, w, c) to tiles (36, n * h / 4 * w / 4, c); beyond the border there are zeros. */
void inputs(const float *x, float *tiles, long n, long h, long w, long c)
{
    long t = 0, all = n * (h / 4) * (w / 4) * c;
    for (long i = 0; i < n; i++)
        for (long row = -1; row < h - 1; row += 4)
            for (long column = -1; column < w - 1; column += 4, t++)
                for (long k = 0; k < c; k += 8) {
                    v8 d[36], half[36], out[36];
                    for (int u = 0; u < 6; u++)
                        for (int v = 0; v < 6; v++) {
                            long p = row + u, q = column + v;
                            int inside = p >= 0 && p < h && q >= 0 && q < w;
                            d[6 * u + v] = inside ? *(const v8 *)(x + ((i * h + p) * w + q) * c + k) : (v8){0};
                        }
                    for (int v = 0; v < 6; v++)
                        input6(d + v, 6, half + v, 6);
                    for (int u = 0; u < 6; u++)
                        input6(half + 6 * u, 1, out + 6 * u, 1);
                    for (int p = 0; p < 36; p++)
                        *(v8 *)(tiles + p * all + t * c + k) = out[p];
                }
}

/* Products (36, n * h / 4 * w / 4, c) to y (n, h, w, c). */
void outputs(const float *products, float *y, long n, long h, long w, long c)
{
    long t = 0, all = n * (h / 4) * (w / 4) * c;
    for (long i = 0; i < n; i++)
        for (long row = 0; row < h; row += 4)
            for (long column = 0; column < w; column += 4, t++)
                for (long k = 0; k < c; k += 8) {
                    v8 m[36], half[24], out[16];
                    for (int p = 0; p < 36; p++)
                        m[p] = *(const v8 *)(products + p * all + t * c + k);
                    for (int v = 0; v < 6; v++)
                        output4(m + v, 6, half + v, 6);
                    for (int u = 0; u < 4; u++)
                        output4(half + 6 * u, 1, out + 4 * u, 1);
                    for (int p = 0; p < 16; p++)
                        *(v8 *)(y + ((i * h + row + p / 4) * w + column + p % 4) * c + k) = out[p];
                }
}

/* Gradients of outputs (n, h, w, c) to those of products (36, n * h / 4 * w / 4, c). */
void outputs_back(const float *y, float *products, long n, long h, long w, long c)
{
    long t = 0, all = n * (h / 4) * (w / 4) * c;
    for (long i = 0; i < n; i++)
        for (long row = 0; row < h; row += 4)
            for (long column = 0; column < w; column += 4, t++)
                for (long k = 0; k < c; k += 8) {
                    v8 g[16], half[24], out[36];
                    for (int p = 0; p < 16; p++)
                        g[p] = *(const v8 *)(y + ((i * h + row + p / 4) * w + column + p % 4) * c + k);
                    for (int v = 0; v < 4; v++)
                        back6(g + v, 4, half + v, 4);
                    for (int u = 0; u < 6; u++)
                        back6(half + 4 * u, 1, out + 6 * u, 1);
                    for (int p = 0; p < 36; p++)
                        *(v8 *)(products + p * all + t * c + k) = out[p];
                }
}
