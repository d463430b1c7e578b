#!/usr/bin/env python3
"""verify_bundle.py DIR KEY: did the holder of KEY (a minisign public key, or its file) sign the bundle in DIR, and is every
byte of it here? It follows docs/bundle.md. BLAKE3 it cannot check, as Python's library does not have it: neither the id, nor
that a raw body has the BLAKE3 that names it; and of zstd and patch bodies it checks the packed bytes only."""
import base64, hashlib, json, os, sys, tarfile
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
sys.excepthook = lambda kind, error, trace: print(f"NOT VALID: {kind.__name__}: {error}", file=sys.stderr)
def path(name): return os.path.join(sys.argv[1], name)
def need(fits, what): fits or sys.exit("NOT VALID: " + what)
def signer(message, text, keys, what):  # minisign: signatures of the message's BLAKE2b, and of that one with the comment
    try:
        line, comment, last = text.split("\n")[1:4]
        line, last = (base64.b64decode(each, validate=True) for each in (line, last))
        key = Ed25519PublicKey.from_public_bytes(keys[line[2:10]])
        key.verify(line[10:], hashlib.blake2b(message).digest())
        key.verify(last, line[10:] + comment[len("trusted comment: "):].encode())
        return line[2:10][::-1].hex().upper()
    except Exception as error: need(False, f"{what} is not signed by a key that counts ({type(error).__name__})")
def root(leaves):  # RFC 9162, section 2.1.1
    if len(leaves) < 2: return hashlib.sha256(b"".join(b"\0" + leaf for leaf in leaves)).digest()
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + root(leaves[:left]) + root(leaves[left:])).digest()
key = base64.b64decode((open(sys.argv[2]).read() if os.path.exists(sys.argv[2]) else sys.argv[2]).strip().split("\n")[-1])
text, keys = open(path("BUNDLE.json"), "rb").read(), {key[2:10]: key[10:]}
need(text.startswith(b'{"format":1,') and os.path.isfile(path("BUNDLE.sig")), "it is no signed bundle of format 1")
bundle = json.loads(text) if text.isascii() else need(False, "BUNDLE.json is not ASCII")
for new in bundle["issuer_keys"]["keys"][:64]:  # newer keys, each vouched for by one that counts
    key, by = base64.b64decode(new["key"]), bytes.fromhex(new.get("introduced_by") or "")[::-1]
    if by in keys and key[2:10] not in keys:
        said = f"ringfence key 1\nkey {new['key']}\nafter {new['introduced_by']}\nat {new['added_at']}\n"
        signer(said.encode(), new["introduction"], keys, "the introduction of a key")
        keys[key[2:10]] = key[10:]
need(signer(text, open(path("BUNDLE.sig")).read(), keys, "BUNDLE.json") == bundle["issuer"], "its issuer did not sign it")
objects, volumes, names = bundle["objects"], bundle["volumes"], [o["blake3"] for o in bundle["objects"]]
need(names == sorted(set(names)) and bundle["state"] in names, "its objects are not in order")
sums = sum(o["size"] for o in objects), sum(o["packed"]["size"] for o in objects), sum(v["size"] for v in volumes)
need((len(objects), *sums) == tuple(bundle["totals"].values()), "its totals are not the sums")
reached = root([bytes.fromhex(name) for name in names]).hex() if bundle["base"] == {"kind": "full"} else bundle["root"]
need(reached == bundle["root"], "its root is another")
for number, v in enumerate(volumes, 1):
    need(v["name"] == f"vol-{number:04}.tar" and os.path.isfile(path(v["name"])), f"volume {number} is missing")
    need(os.path.getsize(path(v["name"])) == v["size"], v["name"] + " has another length")
    v["found"], v["named"] = [(m.name, m.offset_data, m.size) for m in tarfile.open(path(v["name"]), "r:")], []
for o in objects:
    whole, several, packed = hashlib.sha256(), len(o["parts"]) > 1, [o["packed"]["size"], o["packed"]["sha256"]]
    frames = [sum(s[key] for s in o.get("segments", [])) for key in ("size", "packed_size")]
    need(o["encoding"] != "patch" or frames == [o["size"], packed[0]], f"the frames of patch {o['blake3']} do not add up")
    for number, part in enumerate(o["parts"], 1):
        v, digest, left = volumes[part["volume"] - 1], hashlib.sha256(), part["size"]
        v["named"].append((f"objects/{o['blake3']}" + f".part-{number:04}" * several, part["offset"], left))
        with open(path(v["name"]), "rb") as file:
            file.seek(part["offset"])
            while left and (piece := file.read(min(left, 1 << 20))):
                digest.update(piece), whole.update(piece)
                left -= len(piece)
        need(digest.hexdigest() == part["sha256"], f"object {o['blake3']} is damaged in {v['name']}")
    need([sum(p["size"] for p in o["parts"]), whole.hexdigest()] == packed, f"object {o['blake3']} is not what was packed")
    need(o["encoding"] != "raw" or packed == [o["size"], o["sha256"]], f"object {o['blake3']} has another body")
for v in volumes: need(v["found"][0][0] == "LIST.json" and v["found"][1:] == v["named"], v["name"] + " lists other things")
print(f"valid: bundle {bundle['sequence']} of site {bundle['site']}, {len(objects)} objects, signed by {bundle['issuer']}")
