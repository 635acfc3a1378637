"""The AS and TGS exchanges of the classic profile, as a client of the original document makes them."""
import base64

from . import classic, web


class Refused(Exception):
    def __init__(self, reply):
        super().__init__(repr(reply))
        self.reply, self.status, self.code = reply, reply.status, reply.code


def as_request(user, offset_s=0, **fields):
    """The text that is sealed for the AS."""
    return {"tgs_name": "tgs", "timestamp": classic.stamp(offset_s), **fields}


def as_fields(user, text=None, **how):
    return {"login": user.name, "encrypted": classic.seal(user.key, text or as_request(user), **how)}


def post_as(realm, fields, path="/as/login", **how):
    return web.post_form(realm.as_addr, path, fields, **how)


def post_tgs(realm, fields, path="/tgs", **how):
    return web.post_form(realm.tgs_addr, path, fields, **how)


class Tgt:
    def __init__(self, realm, user, reply):
        self.realm, self.user, self.reply = realm, user, reply
        self.ticket = reply["tgs_ticket"]
        self.key = base64.b64decode(reply["session_key"], validate=True)
        realm.remember("TGT session key", self.key)

    def authenticator(self, offset_s=0, user_name=None, **how):
        return classic.seal(self.key, {"user_name": user_name or self.user.name,
                                       "timestamp": classic.stamp(offset_s)}, **how)

    def fields(self, service="chat", **how):
        return {"authenticator": self.authenticator(**how), "tgs_ticket": self.ticket, "service": service}

    def service(self, service="chat", **how):
        r = post_tgs(self.realm, self.fields(service), **how)
        if r.status != 200:
            raise Refused(r)
        return ServiceTicket(self.realm, self.user, classic.open_box(self.key, r.body.decode()))


class ServiceTicket:
    def __init__(self, realm, user, reply):
        self.realm, self.user, self.reply = realm, user, reply
        self.ticket, self.service = reply["service_ticket"], reply["service"]
        self.key = base64.b64decode(reply["client_service_sk"], validate=True)
        realm.remember("service session key", self.key)

    def authenticator(self, offset_s=0, user_name=None, **how):
        return classic.seal(self.key, {"user_name": user_name or self.user.name,
                                       "timestamp": classic.stamp(offset_s)}, **how)

    def login_frame(self, **more):
        return {"type": "login", "authenticator": self.authenticator(), "service": self.service,
                "service_ticket": self.ticket, **more}


def login(realm, user, **how):
    r = post_as(realm, as_fields(user), **how)
    if r.status != 200:
        raise Refused(r)
    return Tgt(realm, user, classic.open_box(user.key, r.body.decode()))
