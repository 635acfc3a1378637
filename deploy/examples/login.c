/*
 * Logs in to a realm and gets a ticket for a service, with libkerb (kerb.h):
 *
 *   cc login.c $(pkg-config --cflags --libs kerb) -o login
 *   ./login http://127.0.0.1:8080 alice [chat]
 *
 * The password is the first line of standard input: real programs ask for it without echo, or leave `kerb login` to the
 * person and begin with kerb_get_ticket(). The tickets stay in memory here.
 */
#include <kerb.h>
#include <stdio.h>
#include <string.h>

static int fail(const struct kerb *k, enum kerb_status status)
{
    fprintf(stderr, "login: %s (%s)\n", kerb_error(k), kerb_status_name(status));
    return 1;
}

static int run(struct kerb *k, const char *user, const char *service)
{
    char password[1024] = "";
    struct kerb_ticket ticket;

    if (!fgets(password, sizeof password, stdin))
        return 2;
    password[strcspn(password, "\r\n")] = 0;
    enum kerb_status status = kerb_login(k, user, password, strlen(password), NULL);
    memset(password, 0, sizeof password); /* a careful program uses explicit_bzero() */
    if (status != KERB_OK)
        return fail(k, status);
    printf("logged in as %s in %s\n", kerb_client(k), kerb_realm(k));

    status = kerb_get_ticket(k, service, &ticket);
    if (status != KERB_OK)
        return fail(k, status);
    printf("ticket for %s: %zu letters, good for %lld s\n", ticket.service, strlen(ticket.text),
           (long long)(ticket.end - kerb_now(k)));
    /* ticket.text goes to the service; ticket.session_key never leaves this program. */
    kerb_ticket_wipe(&ticket);
    return 0;
}

int main(int argc, char **argv)
{
    struct kerb_options options = {.no_cache = true};
    struct kerb *k;

    if (argc < 3) {
        fputs("usage: login URL USER [SERVICE]\n", stderr);
        return 2;
    }
    options.url = argv[1];
    enum kerb_status status = kerb_open(&options, &k);
    int result = status == KERB_OK ? run(k, argv[2], argc > 3 ? argv[3] : "chat") : fail(k, status);
    kerb_close(k);
    return result;
}
