"""The image service of a small cloud: Glance's API as far as it is needed, kept in memory."""

import hashlib
import uuid

PAGE = """<html>
 <head>
  <title>{status}</title>
 </head>
 <body>
  <h1>{status}</h1>
  {said}<br /><br />
 </body>
</html>"""


class SmallImages:
    def __init__(self):
        self.images = {}  # what is told of each, by id
        self.image_bytes = {}  # by id
        self.members = {}  # projects that an image is shared with, by its id
        self.lost_bytes = set()  # ids of images that the store has lost
        self.in_pieces = set()  # ids of images of which a refused upload has left something
        self.kept_properties = set()  # that nobody but the operator may set
        self.breaks_after = None  # bytes of an image, and the connection is gone
        self.breaks_at = {}  # by id: the byte that the store has lost

    def glance(self, method, path, query, body, project):
        if path in ("/image", "/image/", "/image/v2", "/image/v2/"):
            links = [{"rel": "self", "href": f"{self.url}/image/v2/"}]
            return 300, {"versions": [{"id": "v2.15", "status": "CURRENT", "links": links}]}
        if method == "POST":
            if body.get("visibility") == "public" and project != "admin":
                return 403, {"message": "You are not authorized to complete publicize_image action."}
            if kept := self.kept_properties & body.keys():
                return 403, {"message": f"Attribute '{min(kept)}' is reserved."}
            made = {"id": str(uuid.uuid4()), "status": "queued", "owner": project, "size": None, "tags": [], **body}
            self.images[made["id"]] = made
            return 201, made
        identity = path.removeprefix("/image/v2/images").strip("/")
        if identity.endswith("/members"):
            of = identity.partition("/")[0]
            listed = [{"member_id": one, "image_id": of, "status": "pending"} for one in self.members.get(of, ())]
            return 200, {"members": listed}
        if identity and identity not in self.images:
            return 404, {}
        if identity and method == "DELETE":
            del self.images[identity]
            return 204, None
        if identity:
            return 200, self.images[identity]
        hidden = query.get("os_hidden") == "True"
        listed = [each for each in self.images.values() if each.get("os_hidden", False) == hidden]
        public = ("public", "community")
        return 200, {"images": [i for i in listed if project in (i["owner"], "admin") or i.get("visibility") in public]}

    def refused_bytes(self, image, body):
        """Refuse bytes as Glance does, with a page."""
        if "img_signature_certificate_uuid" in image:
            certificate = image["img_signature_certificate_uuid"]
            return "400 Bad Request", f"Unable to retrieve certificate with ID: {certificate}"
        if image["id"] in self.in_pieces:
            return "500 Internal Server Error", f"RBD image {image['id']} already exists"
        if image["disk_format"] == "qcow2" and not body.startswith(b"QFI"):
            self.in_pieces.add(image["id"])
            return "415 Unsupported Media Type", "Image declared as &#x27;qcow2&#x27; isn&#x27;t one"
        return None

    def keep(self, identity, data):
        digest = hashlib.sha512(data).hexdigest()
        told = {"status": "active", "size": len(data), "os_hash_algo": "sha512", "os_hash_value": digest}
        self.images[identity] |= told
        self.image_bytes[identity] = data

    def bytes_of_image(self, handler, identity, body):
        if handler.command == "PUT":
            if refused := self.refused_bytes(self.images[identity], body):
                page = PAGE.format(status=refused[0], said=refused[1]).encode()
                handler.send_response(int(refused[0][:3]))
                handler.send_header("Content-Type", "text/html; charset=UTF-8")
                handler.send_header("Content-Length", str(len(page)))
                handler.end_headers()
                handler.wfile.write(page)
                return
            self.keep(identity, body)
            handler.send_response(204)
            handler.end_headers()
            return
        if identity in self.lost_bytes:
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        begin = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        data = self.image_bytes[identity][begin:]
        self.requests["GET from", begin] += 1
        handler.send_response(206 if begin else 200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        lost = self.breaks_at.get(identity)
        handler.wfile.write(data[: self.breaks_after if lost is None else max(0, lost - begin)])
        handler.close_connection = True
