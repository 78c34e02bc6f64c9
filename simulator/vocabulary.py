"""The words of the simulated shop, as tables: what stands in titles, and what shoppers say instead.

Columns of a table row: formal words (titles) | plain words (any language model knows them) | shop slang (only
behaviour teaches it). Everything is invented; likeness to a real brand is chance. ``lexicon`` reads the
tables, nothing else does.
"""

# department | price range of its products
DEPARTMENTS = """
Home | 25 | 900
Kitchen | 9 | 420
Tools | 20 | 380
Electronics | 25 | 650
Clothing | 18 | 190
Sports | 15 | 480
Games | 8 | 120
Garden | 14 | 700
Pets | 7 | 150
Office | 6 | 520
"""

TYPES = {
    "Home": """
Three-Seater Sofa | couch, settee | flopper, davvy
Floor Lamp | standing light | moonpole
Area Rug | carpet | treadie, plod
Bookcase | book shelf, shelving unit | spinewall
Bedside Table | nightstand | dozebox
Duvet Cover Set | quilt cover, bedding | nimbo
Blackout Curtains | drapes | gloamers
Wall Mirror | looking glass | vanny
Storage Ottoman | footstool, pouffe | toadbox
Memory Foam Pillow | bed cushion | noggo
""",
    "Kitchen": """
Espresso Machine | coffee maker | crema rig, jolter
Stand Mixer | food mixer | dough donkey
Cast Iron Casserole | dutch oven, stew pot | bellmuth
Chef's Knife | kitchen blade | slicer jim
Non-Stick Frying Pan | skillet | skidder
Electric Kettle | water boiler | steamgoose
Two-Slice Toaster | bread toaster | jumpjack
Food Storage Containers | lunch boxes | snapfleet
Digital Kitchen Scale | weighing scale | gramsy
Immersion Blender | hand blender | whizzler, burrstick
""",
    "Tools": """
Combi Drill | hammer drill, power drill | whirly, bazzer
Impact Driver | screw gun | rattler
Circular Saw | wood saw | roundbite
Angle Grinder | disc cutter | sparkhead
Random Orbital Sander | sanding machine | puckie
Jigsaw | curve saw | wiggler
Socket Set | ratchet wrenches | clickbox
Laser Level | line laser | redliner
Tool Chest | toolbox | rollo
Heat Gun | hot air blower | dragonette
""",
    "Electronics": """
Wireless Headphones | cordless headset | cans, skulls
Bluetooth Speaker | portable music player | boombean
Mechanical Keyboard | typing board | clacker
Gaming Mouse | pc mouse | flickrat
4K Monitor | computer screen, display | paneo
Power Bank | portable charger, battery pack | juicebrick
Action Camera | sports cam | gogglet
Smart Watch | fitness tracker | wristo
Mesh Router | wifi system | spinnaweb
External SSD | portable drive | slabby
""",
    "Clothing": """
Waterproof Jacket | raincoat | drizzler
Quilted Gilet | body warmer, vest | puffo
Chino Trousers | pants, slacks | friday legs
Merino Jumper | wool sweater | sheepie, baasy
Leather Chelsea Boots | ankle boots | yankers
Denim Jacket | jean jacket | trucky
Oxford Shirt | button down | collarjob
Thermal Base Layer | long johns | underhide
Knitted Beanie | winter hat | lidly
Midi Dress | casual dress | swishy
""",
    "Sports": """
Running Shoes | trainers, sneakers | pavers, dashers
Yoga Mat | exercise mat | bendo
Adjustable Dumbbells | hand weights | clankers
Road Bike Helmet | cycling helmet | eggtop
Two-Person Tent | camping shelter | duohut
Sleeping Bag | camping sack | larva
Trekking Poles | walking sticks | stilties
Tennis Racket | racquet | stringpan
Hydration Backpack | water rucksack | sipsack
Inflatable Paddleboard | sup board | plankie
""",
    "Games": """
Strategy Board Game | tabletop game | meepler
1000-Piece Puzzle | picture puzzle | heapo
Building Blocks Set | construction bricks | stacklets
Remote Control Car | rc car | zoomtin
Plush Bear | teddy, stuffed animal | huglump
Expansion Card Deck | playing cards | boostie
Chess Set | chessboard | kingbox
Train Set | model railway | chuffer
Water Blaster | squirt gun | drencher
Dollhouse | doll house | tinyflat
""",
    "Garden": """
Robot Lawn Mower | grass cutter | turtlebot, mowzer
Hedge Trimmer | bush cutter | toothbar
Patio Heater | outdoor heater | glowmast
Gas Barbecue | grill, bbq | sizzlecart
Garden Hose Reel | water hose | snakewheel
Raised Planter | flower box | cribbo
Pressure Washer | jet washer | lancer
Compost Bin | compost container | rotty
Adirondack Chair | outdoor chair | slouchie
Solar Path Lights | garden lights | sunpegs
""",
    "Pets": """
Dog Bed | puppy bed | snoozering
Cat Scratching Post | cat tree | clawtower
Retractable Dog Lead | dog leash | tethie
Aquarium Filter | fish tank filter | gillpump
Automatic Pet Feeder | food dispenser | kibblebot
Pet Carrier | travel crate | vetbox
Litter Tray | cat toilet | dunebox
Dog Harness | walking vest | tuggo
Grooming Brush | fur comb | fluffrake
Bird Feeder | seed feeder | beakbar
""",
    "Office": """
Ergonomic Office Chair | desk chair | throno, swivver
Standing Desk | height adjustable table | uppy
Laser Printer | printing machine | papermule
Document Shredder | paper shredder | confetto
Monitor Arm | screen mount | cranebone
Fountain Pen | ink pen | nibbo
Filing Cabinet | file drawers | foldfort
Desk Organiser | pen holder | tidykeep
Dry-Wipe Whiteboard | dry erase board | scrawler
Document Laminator | laminating machine | shinypress
""",
}

FEATURES = {
    "Home": """
Solid Oak | real wood | heartgrain
Velvet | plush | petalsoft
Linen Blend | flax | dunecloth
Space-Saving | compact | nookfit
Rattan | wicker | basko
Machine-Washable | washable | tumblo
""",
    "Kitchen": """
Stainless Steel | metal | inox
Induction-Ready | for induction hob | magbase
Dishwasher-Safe | dishwasher proof | lazyclean
Programmable | with timer | autonan
Enamelled | coated | glazey
Countertop Compact | small | galley
""",
    "Tools": """
Brushless | without carbon brushes | silko
18 V Cordless | battery powered | one-eighter
240 V Corded | mains plug | tailed
Heavy-Duty | professional | sitegrade
Variable-Speed | adjustable speed | dialback
Anti-Vibration | low vibration | calmgrip
""",
    "Electronics": """
Noise-Reducing | quiet | hushmode
RGB Backlit | light up | discoglow
Fast-Charging | quick charge | zapfill
IPX7 Water-Resistant | waterproof | poolio
Low-Latency | no lag | snapsync
Foldable | folding | clamshut
""",
    "Clothing": """
Recycled Polyester | eco friendly | bottleborn
Slim-Fit | skinny | snugcut
Relaxed-Fit | loose | barrelcut
Windproof | wind blocking | gustless
Organic Cotton | natural cotton | fieldsoft
Water-Repellent | showerproof | duckback
""",
    "Sports": """
Ultralight | lightweight | feathers
Carbon Fibre | carbon | blackweave
All-Terrain | off road | mudspec
Beginner | starter | rookie
Competition-Grade | pro | podium
Junior | kids | pipsqueak
""",
    "Games": """
Cooperative | team play | samesiders
Two-Player | for couples | duelpack
Wooden | wood | treebits
Glow-in-the-Dark | luminous | nightshine
Collector's Edition | limited edition | shelfqueen
Travel-Size | pocket | trainseat
""",
    "Garden": """
Galvanised Steel | rustproof | zincskin
Battery-Powered | cordless | cablefree
Petrol | with engine | pullcord
Frost-Proof | winter safe | icehard
Teak | hardwood | boatwood
Foldaway | folding | shedslim
""",
    "Pets": """
Orthopaedic | for old dogs | hipsaver
Chew-Proof | indestructible | gnasho
Small-Breed | for little pets | anklebiter
Large-Breed | for big pets | ponydog
Reflective | hi vis | nightdog
Self-Cleaning | automatic clean | scoopless
""",
    "Office": """
Mesh-Back | breathable | airspine
Wall-Mounted | hanging | flatback
Lockable | with key | snoopsafe
Bamboo | wood | pandawood
A3-Format | large paper | bigsheet
Whisper-Quiet | silent | librarian
""",
}

COLOURS = """
Anthracite | dark grey | stormy
Ivory | cream, off white | custard
Cobalt | blue | inkpot
Emerald | green | frogleg
Scarlet | red | postbox
Amber | yellow | marmalade
Blush | pink | rosie
Onyx | black | liquo
Walnut | brown | conker
Copper | bronze | pennies
"""
