"""The mark inside a picture's file that says to machines that a model made it; its pixels stay as they are."""

from typing import Any

from PIL.PngImagePlugin import PngInfo

# IPTC's word for pictures made by a model that learnt from sampled content, in the property that IPTC gives to it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# An XMP packet (ISO 16684-1, 7.3); read-only, so no room is left for changes in place.
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


def mark(extension: str) -> dict[str, Any]:
    """Options with which Pillow saves a PNG or a WebP (`extension`) that carries the packet; equal pixels give equal bytes."""
    if extension == "webp":
        return {"xmp": PACKET.encode()}
    chunk = PngInfo()
    chunk.add_itxt("XML:com.adobe.xmp", PACKET)
    return {"pnginfo": chunk}
