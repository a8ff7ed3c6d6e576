/* See gcm.h. The only file that knows libcrypto. */
#include "noise/gcm.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>

static EVP_CIPHER *aes256gcm;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

/* Without the machine's configuration file: it could put another implementation in this place. */
static void fetch(void)
{
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL) == 1)
        aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", "provider=default");
}

struct noise_gcm *noise_gcm_new(const uint8_t key[NOISE_KEY_BYTES], bool sealing)
{
    pthread_once(&fetched, fetch);
    EVP_CIPHER_CTX *x = aes256gcm ? EVP_CIPHER_CTX_new() : NULL;
    if (x && EVP_CipherInit_ex2(x, aes256gcm, key, NULL, sealing, NULL) != 1) {
        EVP_CIPHER_CTX_free(x);
        x = NULL;
    }
    return (struct noise_gcm *)x;
}

static EVP_CIPHER_CTX *of(struct noise_gcm *g)
{
    return (EVP_CIPHER_CTX *)g;
}

void noise_gcm_free(struct noise_gcm *g)
{
    EVP_CIPHER_CTX_free(of(g));
}

/* NIST SP 800-38D section 7.1. */
bool noise_gcm_seal(struct noise_gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], uint8_t *out,
                    struct bytes plain)
{
    EVP_CIPHER_CTX *x = of(g);
    int n, rest;
    return EVP_CipherInit_ex2(x, NULL, NULL, nonce, -1, NULL) == 1 &&
           EVP_CipherUpdate(x, out, &n, plain.at, (int)plain.len) == 1 && (size_t)n == plain.len &&
           EVP_CipherFinal_ex(x, out + n, &rest) == 1 && rest == 0 &&
           EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, NOISE_TAG_BYTES, out + plain.len) == 1;
}

/* Section 7.2. libcrypto writes before it has seen the tag: what it wrote of a forgery is wiped. */
bool noise_gcm_open(struct noise_gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], uint8_t *out,
                    struct bytes sealed)
{
    EVP_CIPHER_CTX *x = of(g);
    size_t len = sealed.len - NOISE_TAG_BYTES;
    int n, rest;
    uint8_t tag[NOISE_TAG_BYTES];
    memcpy(tag, sealed.at + len, sizeof tag);
    bool is_authentic = EVP_CipherInit_ex2(x, NULL, NULL, nonce, -1, NULL) == 1 &&
                        EVP_CipherUpdate(x, out, &n, sealed.at, (int)len) == 1 && (size_t)n == len &&
                        EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, NOISE_TAG_BYTES, tag) == 1 &&
                        EVP_CipherFinal_ex(x, out + n, &rest) == 1 && rest == 0;
    if (!is_authentic)
        sodium_memzero(out, len);
    return is_authentic;
}
